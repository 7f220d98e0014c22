//! Claims about the translation, without a socket.
