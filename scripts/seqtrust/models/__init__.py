"""Models: one sequence-to-activity network and the facts that its users rely on."""
