"""The portrait (画像) of one customer: what is known, what is thought, and what of it who may see."""
