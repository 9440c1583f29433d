"""Attribution maps: how consistently a network explains its predictions."""
