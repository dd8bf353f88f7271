"""What all pages share: address, places, times, models, style and wording."""
