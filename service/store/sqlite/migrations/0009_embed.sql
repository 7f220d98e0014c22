-- Vectors of texts are calls too.
INSERT INTO usage_code (kind, code, name) VALUES ('operation', 2, 'embed');
