"""Sleep: counts, features for 30 s epochs, the classical rules, and a night's figures."""
