"""How well the search finds what people look for: a mesh of 2,000 products, and judged queries."""
