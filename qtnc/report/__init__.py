"""What came out: manifest, tables and figures beside their baselines."""
