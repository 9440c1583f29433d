"""How far can a genomic sequence-to-activity model be trusted?"""
