"""Objects in a bucket of S3: one contract, two engines; most of it is in `runstore.places._cloud`.

    _backend     a bucket, or a prefix of one, and its unfinished uploads

How the bucket is reached, decided once for both engines
    _options     storage options, checked at the door
    _written     what is said of each object that is written: access, class, tags, encryption
    _access_point  access points in the place of a bucket
    _config      options, environment and profile as one configuration
    _profile     the AWS configuration file
    _aws         the host names of AWS
    _network     certificates and proxies
    _credentials what requests are signed with, in the order of AWS
    _environment what a client may take from outside, so that a change is seen
    _clients     which client is used, and shared

The engines
    _s3fs, _session  a client on aiobotocore, which s3fs brings
    _botocore_failures  what that raises, as a failure
    _obstore, _obstore_settings  a client on obstore
"""

from runstore.places._s3._backend import S3Backend
from runstore.places._s3._options import merge_options, split_options

__all__ = ["S3Backend", "merge_options", "split_options"]
