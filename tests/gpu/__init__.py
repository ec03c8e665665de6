"""Checks and measurements on a real GPU: python -m tests.gpu [--out DIR]"""
