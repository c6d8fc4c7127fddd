"""From days to what they mean: context, baselines, findings, reminders, zones. Pure: days in, values out."""
