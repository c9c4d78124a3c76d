"""Objects in a bucket: one contract, two engines.

What a store does
    _backend     the contract of `runstore.places.Backend`, on a client
    _upload      upload one object, by a single PUT or in parts, and recover when an answer is lost
    _download    read one object, by one request or by ranges of one version
    _conditions  whether the server keeps the conditions it is given
    _retry       retry until the store's timeout, or less where waiting does not help

How the bucket is reached, decided once for both engines
    _options     storage options, checked at the door
    _config      options, environment and profile as one configuration
    _profile     the AWS configuration file
    _aws         the host names of AWS
    _network     certificates and proxies
    _credentials what requests are signed with, in the order of AWS
    _environment what a client may take from outside, so that a change is seen
    _clients     which client is used, and shared

What goes wrong
    _causes      our own codes, beside those of S3
    _errors      a failure as one of our errors
    _botocore_failures, _obstore_failures  what the libraries raise, as a failure
    _logs        keep credentials out of the log of botocore

The engines
    _wire        what a client is: one call, one request
    _s3fs, _session, _loop  a client on aiobotocore, which s3fs brings; its event loop
    _obstore, _obstore_settings, _attended  a client on obstore; calls that hear Ctrl-C
"""

from runstore.places._s3._backend import S3Backend
from runstore.places._s3._options import split_options

__all__ = ["S3Backend", "split_options"]
