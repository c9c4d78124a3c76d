CodecTests=object
