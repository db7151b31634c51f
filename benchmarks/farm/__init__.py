"""The farm beside plain ffmpeg: CPU, bytes and quality of what it makes, and how it bears loss and load."""
