"""How the checkpoint and the ControlNet that ship with the package are made and measured."""
