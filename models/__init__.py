"""Networks, training, pruning, compression, bundles and the runtimes that open them."""
