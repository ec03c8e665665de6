"""label: answer a query list in the browser."""
