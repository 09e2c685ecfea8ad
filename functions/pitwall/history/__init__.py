"""What is known of sessions once they are over: their archive, and what it corrects of what was stored live.

Only this package may load FastF1, pandas and NumPy, and only where they are needed.
"""
