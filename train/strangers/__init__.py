"""How well the model that ships recognises people whom no training met."""
