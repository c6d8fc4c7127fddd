"""`wristwise run`: data to bundle in stages that can also be called one by one."""
