"""The catalogue: titles, their states, prices, windows and short ids."""
