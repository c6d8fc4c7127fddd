"""What fall detection is made of: the trigger, the view of an impact, the stillness after it, the alarm's life."""
