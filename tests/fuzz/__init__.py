"""Coverage-guided fuzzing, by ``make fuzz``; what was found worth keeping is in ``corpus/``."""
