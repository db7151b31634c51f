"""Mail: what people are told by e-mail, a row before it is sent, to the address their account has at that moment."""
