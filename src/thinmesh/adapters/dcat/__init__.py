"""The catalog as DCAT-AP in JSON-LD, for others to fetch."""
