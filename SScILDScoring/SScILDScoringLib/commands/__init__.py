"""The commands of ``sscild`` that score, show and check."""
