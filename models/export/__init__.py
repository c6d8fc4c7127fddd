"""From a trained tf_keras model to a file that runs on a watch, and the gate that refuses what would answer wrongly."""
