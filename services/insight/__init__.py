"""The insight follower: a reader of the changes feed that writes context, findings and reminders back as records."""
