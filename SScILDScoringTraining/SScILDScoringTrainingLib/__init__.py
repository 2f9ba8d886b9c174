"""Training and evaluation of the networks that SScILDScoringLib uses. For research use only."""
