"""One network a task, authored for the watch: functional tf_keras, explicit names (docs/adr/0001-house.md)."""
