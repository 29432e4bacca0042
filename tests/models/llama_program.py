"""The program that is llama.cpp's server: prints its address, serves until its standard input ends.

``python -m tests.models.llama_program MODEL CONTEXT PARALLEL turns|embeddings [KEY]``
"""

from __future__ import annotations

import sys

import xllamacpp  # type: ignore[import-untyped]


def main() -> None:
    model, context, parallel, purpose, *keys = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"scripted"}
    params.n_ctx = int(context) * int(parallel)
    params.n_parallel = int(parallel)
    params.n_predict = -1
    params.port = 0
    params.ui = False
    params.warmup = False
    params.fit_params = False
    params.verbosity = 0
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.sampling.temp = 0
    params.api_keys = keys
    if purpose == "embeddings":
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
