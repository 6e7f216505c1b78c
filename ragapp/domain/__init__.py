"""What the question-and-answer app knows without a framework, a network or a model."""
