"""Objects in a bucket: one contract, two engines.

_backend     the contract of `runstore.backends.Backend`, on a client
_upload      one request, or parts; conditions; what became of an interrupted write
_download    one request, or ranges of one version
_conditions  whether the server keeps the conditions it is given
_retry       one deadline, many attempts
_options     storage options, environment and profiles, the same for both engines
_errors      what a server answered, as one of our errors
_wire        what a client is: one call, one request
_s3fs        a client on s3fs
_obstore     a client on obstore
"""

from runstore.backends._s3._backend import S3Backend
from runstore.backends._s3._options import split_options

__all__ = ["S3Backend", "split_options"]
