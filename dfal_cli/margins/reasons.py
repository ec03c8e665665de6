"""Reasons why an image has no margin."""

NO_GRADIENT, CAP_REACHED, NOT_FINITE = "no gradient", "cap reached", "not finite"
