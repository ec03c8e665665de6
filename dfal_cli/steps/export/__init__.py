"""export: hand a query list over to a labelling tool."""
