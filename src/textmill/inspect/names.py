"""What columns are called, in lower case, in English and Chinese."""

TEXT = (
    "text", "sentence", "review", "content", "text_a", "utterance", "question", "body", "comment",
    "文本", "内容", "句子", "评论", "正文", "问题",
)  # fmt: skip
LABEL = (
    "label", "labels", "class", "category", "intent", "sentiment", "target", "y",
    "标签", "情感", "类别", "分类", "意图",
)  # fmt: skip
LABEL_ENDS = ("label", "judgment", "标签", "类别")
SCORE = (
    "score", "rating", "stars", "similarity", "relatedness",
    "分数", "评分", "得分", "打分", "星级", "相似度",
)  # fmt: skip
SCORE_ENDS = ("score", "分数", "评分", "得分")
ID = ("编号", "序号")  # an id by another name
# The two columns of a pair of texts.
PAIRS = (
    ("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("premise", "hypothesis"), ("text_a", "text_b"),
    ("question1", "question2"), ("text1", "text2"), ("text", "pair"),
    ("question", "passage"), ("question", "context"), ("question", "sentence"),
    ("句子1", "句子2"), ("文本1", "文本2"), ("问题1", "问题2"), ("前提", "假设"),
)  # fmt: skip
# A text and what is to be written from it.
SEQUENCES = (
    ("source", "target"), ("src", "tgt"), ("document", "summary"), ("article", "highlights"),
    ("article", "summary"), ("dialogue", "summary"), ("text", "summary"),
    ("原文", "译文"), ("原文", "摘要"), ("正文", "摘要"), ("文章", "摘要"), ("内容", "摘要"),
)  # fmt: skip
QUESTION = ("question", "问题")
# Columns of answers in flat tables of questions.
ANSWERS = {
    "context": ("context", "passage", "review", "paragraph", "上下文", "文章", "段落", "材料", "原文"),
    "answer": ("answer", "answers", "answer_text", "human_ans_spans", "答案"),
    "start": ("start", "answer_start", "human_ans_indices", "答案位置", "起始位置", "开始位置"),
}
# Columns of tags beside one of tokens.
TAGS = ("ner_tags", "tags", "labels")
TURNS = ("turns", "messages", "conversations", "conversation", "dialogue", "dialog", "对话")
