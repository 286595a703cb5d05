//! Keys for tests, made for them: `openssl genpkey`. No one else's, and no secrets.

pub(super) const RSA_PRIVATE: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDzaZR3xEY8CIwE
It3Uh//0qZ7EZf9YJFm9gnWifrI3nBrXoZGcuAX0mgT0l+9uYDkqHsqchwK7A+IM
nsEfmiQWyuP/dqcVl8/woqm3yHJ8MPDqFXigx7l4eyzuRl7T4AbnZrSq8+w7Kb/p
lFkfrL+k2Qzvsm00gMi9fUkaVuIx9cgQvyo4/SeUBRJiS5R4mpD36By6yt8zft5j
cY5dqyunuuxnqHbkScyg8+yoPMbTJcF8ftdPDapKDrkfM56dQs9+4fLKYJbavi8C
/CeSt6qRjTA3MHCfKbe41qw/S6PJQjrYZovmu6pBynzILeJDBDSE6PaZJq9McnJB
/k8u5aJvAgMBAAECggEAK5gxtH+NGqxnM0hxVWKkJ1QHsOIZqNYd0nCek+NAFPCa
6BqyQxC8VFIPaCUcBzcplc8c94rApPDtl9gI+5l2NDTTP8om45mkbtMbNWSriG2V
gD8nMxiCMb9RzT0CN80sP15oJiP4n6H7EqD0k1Uzn5kWFYntwBT+nt1k7dg4u7yR
VQUaylDMWxIZ5Iku1k1HtZWGD/m8VbKFEvGte9+RCVGh3NFstopFoKDEAQ2oWZC7
wKDfflhEiYE9T6L/1gdcyXBB0mZFOe6qVKXKYR/5qrbxAsBA4nC/N27UEjxZFcOf
eBtCj2XMWodKskbCp4zcCLFlHFCPEIAxbc9gaSWlfQKBgQD6x/Wt7FCqPb76Dvgo
HwwclvQB1p8MvO/STxc3lktQQuOnLyy8A9rZtPjFGgZpD1865sqzUWjSwYIiAFV1
5xexcQRmbun3hmx2e9KWn9AgZXUVNjeBtIA2JgltyGjwCfV/ttdk7aKyCilhLdAA
nhjWG+2/yBtRZilgggrusQNRdQKBgQD4el0R67xBOvUJjozrFzIWUDKyoy40Hu14
NJ2uJnpN24pfrYMJKoCArlB8JrfjwJbft1UnSlLetsgBhoaqxEDujizd/YYYGamU
E278/Rqf02vlca7XGzhfOp8ERdMiJjUueHgB+qYvy0hmXiCS5A9xAJkddRaA78zR
GoXURZyj0wKBgQCXMedVLJyVhxSU/mFvDwjmU7xZP2Q08dRFH5oH0X0mrq1CJpb5
4/kWOJ2jd8VVogbwJCUhZ3ujVTd3+GuN4f3O5SyZ9VTp/wl1hcG5PjDk10Z3u3BL
qt+Bxfz5S1K5Jcf1b+780qi8XpQEGvLE7IxcygnVDngp40YfAUhGEELH4QKBgGvF
XuKr9T3xnWAkxPgeWmoVJLgYUKzokSTm5VEofTmRtCWlc0UhexTVBjGi9XVCDe5A
bR2affD9JCiNOZGNh4AwiENMd8GyN7vy5duyx750i8K7mRLRSpT7LwdCZb3VBpH+
TEbHeRcXu3Iy9zve0Ne5Y6/EHhuUZqh3MX6NJtBjAoGAWxmnvSznWaIm9EPwpVYO
UDaR9YAK5MMVOCvnt37JHsBOv3P4Mj/x4gRi/9KiOmMy+OgDe9m3J0SWeGrI5C1+
kXQA+1sNRgPmzFHFD2CY9RgxCkfUA3ZBpYC2QjOCsTyx5MJgPUH/L4yDUoWC1zMc
p6kypYajIel/t1CRsEWxb14=
-----END PRIVATE KEY-----
";

pub(super) const RSA_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA82mUd8RGPAiMBCLd1If/
9KmexGX/WCRZvYJ1on6yN5wa16GRnLgF9JoE9JfvbmA5Kh7KnIcCuwPiDJ7BH5ok
Fsrj/3anFZfP8KKpt8hyfDDw6hV4oMe5eHss7kZe0+AG52a0qvPsOym/6ZRZH6y/
pNkM77JtNIDIvX1JGlbiMfXIEL8qOP0nlAUSYkuUeJqQ9+gcusrfM37eY3GOXasr
p7rsZ6h25EnMoPPsqDzG0yXBfH7XTw2qSg65HzOenULPfuHyymCW2r4vAvwnkreq
kY0wNzBwnym3uNasP0ujyUI62GaL5ruqQcp8yC3iQwQ0hOj2mSavTHJyQf5PLuWi
bwIDAQAB
-----END PUBLIC KEY-----
";

/// The modulus of the same key, as a JWK has it.
pub(super) const RSA_N: &str = "82mUd8RGPAiMBCLd1If_9KmexGX_WCRZvYJ1on6yN5wa16GRnLgF9JoE9JfvbmA5Kh7KnIcCuwPiDJ7BH5ok\
     Fsrj_3anFZfP8KKpt8hyfDDw6hV4oMe5eHss7kZe0-AG52a0qvPsOym_6ZRZH6y_pNkM77JtNIDIvX1JGlbi\
     MfXIEL8qOP0nlAUSYkuUeJqQ9-gcusrfM37eY3GOXasrp7rsZ6h25EnMoPPsqDzG0yXBfH7XTw2qSg65HzOe\
     nULPfuHyymCW2r4vAvwnkreqkY0wNzBwnym3uNasP0ujyUI62GaL5ruqQcp8yC3iQwQ0hOj2mSavTHJyQf5P\
     LuWibw";

pub(super) const EC_PRIVATE: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcozJLm1NPuT3pqHu
Vu8LwXIoJvWQhwTjlH0Rclie+LyhRANCAASaXhUfGwE+XJ4PRZTB9iBwypkQ9V7P
O1l9j5vW/glFeqYleCX6VDo5xkeULCJ8HugTOSLoAxBwf4nzlgf8Laxj
-----END PRIVATE KEY-----
";

pub(super) const EC_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEml4VHxsBPlyeD0WUwfYgcMqZEPVe
zztZfY+b1v4JRXqmJXgl+lQ6OcZHlCwifB7oEzki6AMQcH+J85YH/C2sYw==
-----END PUBLIC KEY-----
";

/// The point of the same key, as a JWK has it.
pub(super) const EC_X: &str = "ml4VHxsBPlyeD0WUwfYgcMqZEPVezztZfY-b1v4JRXo";
pub(super) const EC_Y: &str = "piV4JfpUOjnGR5QsInwe6BM5IugDEHB_ifOWB_wtrGM";

/// On another curve than ours.
pub(super) const P384_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAESjKpMcA49KKM8ACx9L4tJbys2su90U1H
cI8+vJ15fwSji6NHvmJos51yFVY/xOqF5C5ZbQclz3u8oTQ9ceVU975qekEFM4T3
c2swe26z0DyrKOwDD6cnR8p4AJX80F4a
-----END PUBLIC KEY-----
";

/// Too short a key.
pub(super) const RSA_1024_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDIpBvmeHA3Qmd9mjjRHjWexXJp
IxDKUOPfXRxOCqQddgZlI6qpfgwWu/CeMHw1Aja/i5SqRk6WbHV3WdfKUY1EwrU5
MkHJ56VTvGwCCDi1m1rNWpP6Cu5V4xJzJXjDgxfrni8hgfMs7mkE1KKR7AbSD/NX
6bMzfKClGTW1EH8WFQIDAQAB
-----END PUBLIC KEY-----
";
