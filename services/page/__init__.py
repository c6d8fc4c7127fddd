"""The companion: pages that a person looks at, rendered here, readable without JavaScript, asking no other host."""
