"""What models with weights need besides the encoder itself: its extra ``transformers``, by its libraries."""

LIBRARIES = ("torch", "transformers", "PIL")
INSTALL = "pip install -c constraints.txt '.[cli]' './services/encoder[transformers]'"
