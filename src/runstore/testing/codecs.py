CodecTests = object
