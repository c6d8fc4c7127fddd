"""Public data sets, one adapter a file, each reading the set's public layout."""
