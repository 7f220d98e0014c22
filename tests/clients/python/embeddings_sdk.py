"""What a user of OpenAI's SDK sees of embeddings, from the local model with its real weights.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
"""

import os

import openai

from claims import claim, raises, run

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="unused", timeout=60, max_retries=0)
MODEL = "local/all-minilm-l6-v2"
TEXTS = ["A man is eating food.", "Someone is having a meal.", "The stock market crashed today."]


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other))


@claim
def texts_that_mean_the_same_are_close():
    # The SDK asks for base64 unless it is told otherwise.
    for settings in [{}, {"encoding_format": "float"}]:
        answer = client.embeddings.create(model=MODEL, input=TEXTS, **settings)
        assert [item.index for item in answer.data] == [0, 1, 2] and answer.model == "all-minilm-l6-v2"
        eating, meal, market = (item.embedding for item in answer.data)
        assert len(eating) == 384 and abs(cosine(eating, eating) - 1) < 1e-5
        # As the library that the model comes from computes it.
        assert abs(cosine(eating, meal) - 0.689) < 0.002, cosine(eating, meal)
        assert abs(cosine(eating, market) - 0.009) < 0.002, cosine(eating, market)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == 24, answer.usage


@claim
def a_single_text_is_the_same_as_in_a_list():
    single = client.embeddings.create(model=MODEL, input=TEXTS[0], dimensions=384).data[0].embedding
    listed = client.embeddings.create(model=MODEL, input=TEXTS * 11).data[0].embedding
    assert abs(cosine(single, listed) - 1) < 1e-4


@claim
def what_the_model_cannot_do_is_refused_by_name():
    def param(**settings):
        return raises(openai.BadRequestError, lambda: client.embeddings.create(**{"model": MODEL, **settings})).param

    assert param(input=["x", "y " * 300]) == "input[1]"
    assert param(input="x", dimensions=100) == "dimensions"
    assert param(input=[[1, 2, 3]]) == "input[0]"
    assert param(input=[]) == "input"
    raises(openai.NotFoundError, lambda: client.embeddings.create(model="local/nothing", input="x"))


run()
