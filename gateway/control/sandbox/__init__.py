"""The sandbox: a bank of our own with test cards, so that buying can be tried before anything is set up."""
