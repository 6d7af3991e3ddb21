"""Speed features, one module each, switched on by plain configuration."""
