"""The codes with which a WebSocket is closed (RFC 6455, section 7.4)."""

#: What is not allowed.
NOT_ALLOWED = 1008
#: A message was too long.
TOO_BIG = 1009
#: Messages that break the protocol, or are no UTF-8.
MALFORMED = (1002, 1007)
#: Another visitor gives its sound and pictures now.
REPLACED = 4001
