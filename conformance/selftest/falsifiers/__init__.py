"""Small deliberate breaks of torch, one module an area: each shows that a check can fail."""
