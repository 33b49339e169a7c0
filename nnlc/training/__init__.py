"""Images, modules, and the deterministic half-epoch loop. The only place that imports torch."""
