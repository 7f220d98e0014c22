"""A question that the real local model can answer, through OpenAI's SDK, in one piece and streamed.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
MODEL     the model to ask
"""

import os

import openai

from claims import claim, run

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="unused", timeout=150, max_retries=0)
ASK = {
    "model": os.environ["MODEL"],
    # With the example before it, the right token leads by far at every step. Asked out of the blue, so small a model
    # wavers between "The" and "L'", and the rounding of its weights decides.
    "messages": [
        {"role": "user", "content": "What is the capital of Germany?"},
        {"role": "assistant", "content": "The capital of Germany is Berlin."},
        {"role": "user", "content": "What is the capital of France?"},
    ],
    "temperature": 0,
    "max_tokens": 24,
}


@claim
def the_capital_of_France_is_Paris():
    answer = client.chat.completions.create(**ASK)
    text = answer.choices[0].message.content
    print("the model says:", text)
    assert "Paris" in text
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert chunks[-1].choices[0].finish_reason == answer.choices[0].finish_reason


run()
