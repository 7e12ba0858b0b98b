"""The course's machinery: build the book, release and grade the exercises. It knows nothing of VAEs."""
