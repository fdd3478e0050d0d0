"""Golden ids of OpenAI's tokenizer for clip-text's tests. Run by scripts/golden/clip, which makes the environment."""
import gzip
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import hostile  # noqa: E402
from openai_tokenizer import OpenAITokenizer  # noqa: E402

out, tokenizer = Path(sys.argv[1]), OpenAITokenizer()
with gzip.GzipFile(out / "ids.jsonl.gz", "wb", mtime=0) as file:
    for text in hostile.lines(1200, seed=1):
        file.write((json.dumps([text, tokenizer.encode(text)], separators=(",", ":")) + "\n").encode())
