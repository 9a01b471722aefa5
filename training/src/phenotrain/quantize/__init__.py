"""Graphs of lower precision beside a bundle's own: made, measured on held-out sites, and refused if they are worse."""
